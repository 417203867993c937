"""How notices reach people: one module per channel, all reading the topic of notices, none waiting for another."""
