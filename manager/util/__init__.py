"""Hold helpers that know neither bots nor Docker. Import only `errors`, `i18n` and `typed`.

atomic_file, strict_json, ownership     files that users and other programs also read or write
json_mistakes                           what is wrong with a text that is not JSON
trusted_folder                          folders that another user's link must not replace
lock_file                               files that are locked, and that no other user may open
kernel_file, mountinfo                  small files in /proc and /sys; what is mounted where
folder_watch                            which folders have to be looked into again
garbage                                 when Python looks for cyclic garbage
kept_content                            what was read out of a file that is still the same one
late_pattern                            regular expressions that are compiled when they are used
wildcard                                patterns of names in settings, such as GRIDBOT_*
kept_text                               messages in a file, for readers of any language
threads, polling, interrupts             concurrent work; waiting for what sends no event; signals as notes
signal_flag                              that a signal has come, without a lock
readable                                waiting for a stream
console, text_table, sanitize           lines, tables and untrusted text on a terminal
drawn_table                             tables in the formats of tabulate
progress_line, screen, prompt           live output and questions on a terminal
formatting, time_parse                  sizes, ages and times as we write them, and as users and log lines do
folder_size, real_path                  what folders take on disk; paths without symlinks
scratch                                 where temporary files go, also beside disks that are read-only
moment                                  the order of what processes did, whatever the clock says
source_stamp                            when caches of what the program computes become invalid
bundle                                  data files shipped with the package
"""
