"""VaR and ES models, one a file, all behind the interface of `rtre.models.base.Model`."""
