"""What a plan is: its file, the rows and steps that it comes to, and the settings of each step."""
