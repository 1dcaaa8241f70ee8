"""Lets the tests of formats import the strategies of stores that lie here."""
