"""How models are made: corpora, normalising, training, evaluation, local feedback."""
