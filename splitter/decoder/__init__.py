"""The process that decodes an untrusted file, and its protocol with the splitter."""
