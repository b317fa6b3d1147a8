"""Several devices learn one model: what `keras.Model.fit` does on one, for any strategy of `tf.distribute`.

Keras 3's own `fit` fails under `MultiWorkerMirroredStrategy`, and takes a last batch that cannot be halved evenly for
one that can. Here every picture of a batch weighs the same wherever it is computed, the gradients are added up, and the
figures of an epoch are Keras's own metrics of the whole batches: each process has all their targets, and the replicas
hand round their logits.
"""

from collections.abc import Callable
from typing import Any

from derma_assets.diagnoses import CODES
from derma_assets.tensorflow_runtime import import_keras, import_tensorflow
from derma_assets.training.parts import Part, Share, at_hand


def replicas_of(strategy: Any) -> Share:
    """Return which replicas of `strategy` are this process's."""
    here: list[int] = []

    def note(context: Any) -> Any:
        here.append(int(context.replica_id_in_sync_group))
        return import_tensorflow().constant(0)

    strategy.experimental_distribute_values_from_function(note)
    return Share(here, strategy.num_replicas_in_sync)


def fit_together(
    learner: Any,
    strategy: Any,
    parts: Any,
    validation_parts: Any,
    *,
    metrics: Callable[[], list[Any]],
    steps: int,
    validation_steps: int,
    first_epoch: int,
    epochs: int,
    callbacks: list[Any],
) -> None:
    """Train a compiled model on all replicas of a strategy; the callbacks are told what `keras.Model.fit` tells them.

    In several processes each calls this with the same arguments but its own parts. All see the same figures, so
    that their callbacks decide alike.

    Args:
        learner: Built and compiled in the scope of `strategy`.
        strategy: Any that has its replicas in sync.
        parts: See `input_pipeline.training_parts`.
        validation_parts: See `input_pipeline.prediction_parts`.
        metrics: Returns new metrics, as the learner was compiled with.
        steps: Batches of an epoch.
        validation_steps: Batches of the validation pictures.
        first_epoch: Epochs that are done.
        epochs: Epochs at most, those included.
        callbacks: Of Keras.
    """
    keras = import_keras()
    learn, judge = _learning_step(learner, strategy), _judging_step(learner, strategy)
    learning, judging = (_Figures(learner.loss, metrics()) for _ in range(2))
    batches = iter(strategy.distribute_datasets_from_function(lambda _: parts))
    validation = iter(strategy.distribute_datasets_from_function(lambda _: validation_parts))
    told = keras.callbacks.CallbackList(callbacks, model=learner, epochs=epochs, steps=steps)
    learner.stop_training = False
    told.on_train_begin()
    for epoch in range(first_epoch, epochs):
        told.on_epoch_begin(epoch)
        for step in range(steps):
            told.on_train_batch_begin(step)
            learning.see(*learn(batches))
            told.on_train_batch_end(step)
        for _ in range(validation_steps):
            judging.see(*judge(validation))
        told.on_epoch_end(epoch, {**learning.result(), **judging.result("val_")})
        if learner.stop_training:
            break
    told.on_train_end()


def _learning_step(learner: Any, strategy: Any) -> Any:
    """Return a function from an iterator of parts to logits, targets and weights of the batch learnt from."""
    tf = import_tensorflow()

    def on_replica(pictures: Any, positions: Any, targets: Any, weights: Any) -> Any:
        part = Part(tf.shape(targets)[0], positions)
        with tf.GradientTape() as tape, at_hand(part):
            logits = tf.cast(learner(pictures, training=True), tf.float32)
            losses = learner.loss.call(part.of(targets), logits) * part.of(weights)
            # A share of the batch's mean, whatever the size of the part.
            share = tf.reduce_sum(losses) / tf.cast(part.count, tf.float32)
            share = learner.optimizer.scale_loss(share)
        variables = learner.trainable_variables
        learner.optimizer.apply_gradients(zip(tape.gradient(share, variables), variables, strict=True))
        return _handed_round(logits, positions, targets)

    # From the iterator, whose shapes are open: the processes must not compile the step anew at different times,
    # or their exchanges would no longer match.
    @tf.function
    def step(iterator: Any) -> Any:
        batch = next(iterator)
        logits = strategy.run(on_replica, args=batch)
        return tuple(_one(strategy, values) for values in (logits, *batch[2:]))

    return step


def _judging_step(learner: Any, strategy: Any) -> Any:
    """Return a function from an iterator of parts to logits and targets of the batch."""
    tf = import_tensorflow()

    def on_replica(pictures: Any, positions: Any, targets: Any) -> Any:
        logits = tf.cast(learner(pictures, training=False), tf.float32)
        return _handed_round(logits, positions, targets)

    @tf.function
    def step(iterator: Any) -> Any:
        batch = next(iterator)
        logits = strategy.run(on_replica, args=batch)
        return tuple(_one(strategy, values) for values in (logits, *batch[2:]))

    return step


def _handed_round(logits: Any, positions: Any, targets: Any) -> Any:
    """Return the logits of the whole batch: those of the other replicas are added to this one's, which has 0 there."""
    tf = import_tensorflow()
    placed = tf.scatter_nd(positions[:, None], logits, tf.shape(targets))
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, placed)


def _one(strategy: Any, values: Any) -> Any:
    """Return what is the same on all replicas, from the first one here."""
    return strategy.experimental_local_results(values)[0]


class _Figures:
    """Loss and metrics of an epoch's batches, computed as `keras.Model.fit` does."""

    def __init__(self, loss: Any, metrics: list[Any]) -> None:
        tf, keras = import_tensorflow(), import_keras()
        self._mean_loss, self._metrics = keras.metrics.Mean(name="loss"), metrics
        for metric in metrics:
            metric.update_state(tf.zeros([1, len(CODES)]), tf.zeros([1, len(CODES)]))  # makes its variables
        self.result()

        @tf.function(reduce_retracing=True)
        def see(logits: Any, targets: Any, weights: Any) -> None:
            self._mean_loss.update_state(loss(targets, logits, sample_weight=weights), tf.shape(targets)[0])
            for metric in metrics:
                metric.update_state(targets, logits)

        self._see = see

    def see(self, logits: Any, targets: Any, weights: Any = None) -> None:
        """Take in a batch: (n, 7) logits, (n, 7) targets, (n,) weights of the loss."""
        self._see(logits, targets, weights)

    def result(self, prefix: str = "") -> dict[str, float]:
        """Return the figures of what was seen, by name, and begin anew."""
        metrics = [self._mean_loss, *self._metrics]
        figures = {f"{prefix}{metric.name}": float(metric.result()) for metric in metrics}
        for metric in metrics:
            metric.reset_state()
        return figures
