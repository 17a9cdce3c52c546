"""Who was sent, has received and has seen which message, and the audit trail."""
