-- What carts are told can be had of a product; null: enough for any of them. As `stock.Item.at_most` has it.
ALTER TABLE product ADD COLUMN at_most integer GENERATED ALWAYS AS (
    CASE WHEN NOT offered THEN 0
         WHEN loaded - reserved - sold < 99 THEN greatest(loaded - reserved - sold, 0) END) STORED;
