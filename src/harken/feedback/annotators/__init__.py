"""Who answers: a person, a simulation, a model, a record."""
