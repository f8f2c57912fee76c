"""What is wrong with the fleet: health of each terminal, symptoms, incidents."""
