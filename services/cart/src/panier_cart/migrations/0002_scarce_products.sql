-- How many can be had of a product, told only while there are fewer than one cart may hold.
ALTER TABLE product ADD COLUMN at_most integer;
