"""Container engines: one Protocol, one module per engine, and the fake that tests use."""
