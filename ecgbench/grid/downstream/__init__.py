"""What cleaning brings: the classifier trained again on cleaned data, measured on items no detector has seen."""
