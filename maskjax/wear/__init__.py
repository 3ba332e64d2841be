"""A mask on a head: in a picture, or in a video from file to file."""
