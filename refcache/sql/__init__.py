"""What is known of database connections, and of the statements on them."""
