"""The core in the stream: what `analyze` does with files, done with what comes from Kafka, turn by turn.

`one` and `two` are the cores of the two stages. Both are pure: the state goes in and comes out, time is what the stages say.
"""
