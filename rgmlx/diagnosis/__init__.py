"""What a machine and a model are, for somebody who asks."""
