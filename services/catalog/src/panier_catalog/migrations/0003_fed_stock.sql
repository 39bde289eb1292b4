-- The stock figure of the last feed. A feed that repeats it says nothing about stock; another one sets it anew.
ALTER TABLE product ADD COLUMN fed integer;
UPDATE product SET fed = loaded;
