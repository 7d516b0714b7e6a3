"""The pages behind personal links."""
