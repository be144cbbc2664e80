"""From candidates to messages: detectors, desk, dossier, notifiers."""
