"""What a partition keeps on disk: records in segment files. Independent of AMQP."""
