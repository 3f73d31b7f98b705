"""Turn a file into chunks of frames and a file of sound: pure, without Azure and asyncio."""
