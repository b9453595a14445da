"""The shop as it would run in production: a replica, triggers and a relay, two web processes."""
