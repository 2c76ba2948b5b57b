"""The pages. Each module holds the routes of one part and renders templates; what they show is found out elsewhere."""
