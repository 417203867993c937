"""The sub-commands of `sekimori`: each composes parts that do not know each other."""
