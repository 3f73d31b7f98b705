"""From a file to chunks of frames and a file of sound: pure, without Azure and without asyncio."""
