"""Halt bots so that nothing starts them again, and what `stop` and `down` share with that.

halt                       the kill switch
chosen                     what it stops, of what was named
halt_events                what it reports while it runs
halt_result                what it did with each container, and the exit code
stop_for_good              sets marks first, then waits for starts that are under way
untrusted_folders          whose files prove nothing
command_marks              the marks that a changing command sets and lifts
"""
