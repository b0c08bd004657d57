"""What is minimised beside a task's own loss, and what else has a say in a step.

- *losses*: ``logit_loss`` is the frame of those of classes, ``classes`` weighs rows of rare classes and easy rows;
  ``two_passes`` adds how much two passes under dropout differ.
- *influences* (:class:`whet.engine.protocols.Influence`): ``start`` pulls weights towards where they began,
  ``mixout`` puts some of them back there for a step, ``gradual`` sets layers free one after the other.
"""
