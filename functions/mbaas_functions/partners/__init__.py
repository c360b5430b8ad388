"""Partner services: functions whose body is a signed call to somebody else's server."""
