"""Plans: the file, the rows and steps that it defines, and the settings of each step."""
