"""What models refuse whose losses are their own, and compare no outputs with labels."""

from typing import Any


class OwnLosses:
    """Base class, beside that of a model, of the models whose losses are all their own.

    What Keras would compare outputs with labels by is refused: it would have no effect, or end in
    an error about shapes.
    """

    def compile(
        self,
        optimizer: Any = "adam",
        loss: None = None,
        loss_weights: None = None,
        metrics: None = None,
        weighted_metrics: None = None,
        **kwargs: Any,
    ) -> None:
        """Configure the model for training: see `keras.Model.compile`.

        Args:
            optimizer: see `keras.Model.compile`.
            loss: not taken: the losses are the model's own.
            loss_weights: not taken: they are arguments of the model and of its terms.
            metrics: not taken: outputs are not compared with labels.
            weighted_metrics: not taken, likewise.
            **kwargs: see `keras.Model.compile`.

        Raises:
            ValueError: if anything is given that is not taken.
        """
        own = "the losses are the model's own"
        unlike = "the model's outputs are not compared with labels"
        for name, given, reason in (
            ("loss", loss, own),
            ("loss_weights", loss_weights, "they are arguments of the model and of its terms"),
            ("metrics", metrics, unlike),
            ("weighted_metrics", weighted_metrics, unlike),
        ):
            if given:
                raise ValueError(f"compile of {type(self).__name__} takes no {name}: {reason}")
        super().compile(optimizer=optimizer, **kwargs)

    def check_arguments(self, method, arguments):
        """Refuse weights: without labels, Keras would leave them out before a batch has them."""
        super().check_arguments(method, arguments)
        self.refuse_weights(arguments.get("sample_weight"), arguments.get("class_weight"))

    def refuse_weights(self, *weights: Any) -> None:
        """Refuse weights of examples or of classes.

        Args:
            *weights: what was given as such, or None.

        Raises:
            ValueError: if there are any.
        """
        if any(given is not None for given in weights):
            raise ValueError(
                f"{type(self).__name__} takes no sample_weight and no class_weight: its losses "
                "compare the examples of a batch with each other"
            )
