"""Images in messages, and the encoder that reads them."""
