"""What knows no bot and no Docker. Imports only `errors` and `i18n`.

atomic_file, strict_json, ownership     files that people and other programs also read or write
threads, polling                        work beside the work; waiting for what tells nobody
console, text_table, sanitize           lines, tables, and text of others on a terminal
progress_line, screen, prompt           a terminal that is kept up to date, and asked
formatting, time_parse                  sizes, ages and times as we write them; points in time as people do
bundle                                  the files that are shipped beside the modules
"""
