-- What people ask for without a shop: an order by its number, and the payments of one customer's orders.
CREATE INDEX orders_of_number ON orders (number);
CREATE INDEX payment_notification_of_order ON payment_notification (order_id);
