"""What knows no bot and no Docker. Imports only `errors` and `i18n`.

atomic_file, strict_json, ownership     files that people and other programs also read or write
threads                                 work beside the work
console, text_table, sanitize           lines, tables, and text of others on a terminal
drawn_table                             tables in tabulate's formats
progress_line, screen, prompt           a terminal that is kept up to date, and asked
time_parse                              points in time as people write them
bundle                                  the files that are shipped beside the modules
"""
