"""Where all that images are made of comes from: fixed by hash and digest, renewed by command."""
