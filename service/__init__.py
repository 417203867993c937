"""What a process of ours that runs for long needs, whichever it is: settings, Kafka's producer, health, logs, signs of life."""
