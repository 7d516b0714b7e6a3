"""What happens by itself: deliveries leave the outbox, deadlines fire, people who could not be found are looked up."""
