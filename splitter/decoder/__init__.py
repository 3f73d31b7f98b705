"""The process that decodes an untrusted file, and the protocol that it speaks."""
