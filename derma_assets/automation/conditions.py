"""When an asset is made again by itself: when something upstream has other content, not when it was merely run."""

import dagster as dg


def on_new_content() -> dg.AutomationCondition:
    """Return the condition under which the daemon asks for an asset.

    Dagster's own `eager` asks for it whenever something upstream is materialized, even to the same data version
    (dagster-io/dagster issues 22850 and 28063). Here the data version decides; what will be made in the same run counts
    too, so that one run goes from the new pictures to the served bundle.
    """
    changed = dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.data_version_changed() | dg.AutomationCondition.will_be_requested()
    )
    wanted: dg.AutomationCondition = changed | dg.AutomationCondition.code_version_changed()
    return (
        wanted.since_last_handled()
        & ~dg.AutomationCondition.any_deps_missing()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
    ).with_label("something upstream has other content")
