"""Real servers for the tests: started on ports of their own, in folders of their own."""
