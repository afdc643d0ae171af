"""Floor 3: numbers outward. Sampler, sealer, pusher, beater."""
