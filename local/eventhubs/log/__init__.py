"""What a partition keeps on the disk: records in segment files. Knows no AMQP."""
