"""Messages on their way from a socket to Kafka: files of their own, encrypted, deleted once acknowledged."""
