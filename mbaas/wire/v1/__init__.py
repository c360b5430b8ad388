"""What Parse has no word for: JSON below `/api/v1`, with the same keys, limits and headers as the mount."""
