"""Make what a container mounts, and the files that a bot reads while it runs.

instance_folders    folders, the database link, the env file
bot_user            who owns them, in the container and on the host
mount_probe         tries each disk once: can a container write there
bot_files           writes a file where a bot reads it
others_file         tells a bot what others hold on its account
"""
