"""The paper's training on few pictures a class."""
