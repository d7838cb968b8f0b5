"""Upgrade a fleet batch by batch, and undo it.

rollout            runs a roll-out, watching each instance until it is ready
rollout_order      in which batches, or every reason why it cannot begin
rollout_plan       who is upgraded, when one is ready, who can be rolled back: pure
rollout_events     what it reports while it runs
rollout_result     what it did with each instance, and the exit code
rollback           restores what was before, unasked after a failure
"""
