"""Who answers: a person, a simulation."""
