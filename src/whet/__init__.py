"""whet sharpens a pretrained language model on your task and proves whether it helped."""
