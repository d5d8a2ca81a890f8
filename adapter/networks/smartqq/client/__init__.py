"""HTTP client of SmartQQ: transport and request builders."""
