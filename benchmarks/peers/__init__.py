"""What others would use for the same work, set up as a practitioner would."""
